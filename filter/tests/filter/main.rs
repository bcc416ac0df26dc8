//! Mail through a server's reception, with filters in its way.

mod filters;
mod house;
mod http_server;
mod milter;
mod milter_server;
mod programs;
mod rspamd;
