//! Clients for the server, scripted: SMTP, submission, POP3 and IMAP.
