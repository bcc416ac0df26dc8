//! APPEND, REPLACE and CATENATE as they come: what each segment says.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use bytes::Bytes;

use super::command_item::CommandItem;
use crate::command::append::{Piece, Place, segment};
use crate::error::Fault;
use crate::plumbing::cursor::Cursor;
use crate::plumbing::framer::Literal;
use crate::plumbing::text::is_tag_char;
use crate::{MailboxName, SyntaxError};

/// A command whose messages come as chunks, on its way in.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) tag: Bytes,
    /// Of the first message, and so of all.
    mailbox: Option<MailboxName>,
    replaces: bool,
    place: Place,
    /// What the segment read last says, and was not given yet.
    pieces: VecDeque<Piece>,
    /// The literal behind it.
    literal: Option<Literal>,
    /// It may hold NUL.
    pub(super) binary: bool,
}

/// What comes of a segment.
pub(super) enum Next {
    /// An item, and the literal behind it when its octets are next.
    Item(Box<CommandItem>, Option<Literal>),
    /// Nothing more before the next segment.
    Chunks,
    /// The command is whole.
    End,
}

impl Message {
    /// Reads a segment; the first one has the tag before it.
    pub(super) fn read(
        &mut self,
        head: &Bytes,
        literal: Option<Literal>,
        utf8: bool,
    ) -> Result<(), SyntaxError> {
        let mut cursor = Cursor::new(head);
        cursor.set_utf8(utf8);
        cursor.set_of_command();
        let pieces = self.pieces(&mut cursor, literal.is_some());
        self.pieces = pieces.map_err(|fault| {
            let tag = Some(self.tag.clone()).filter(|tag| !tag.is_empty());
            fault.of_command(tag, head)
        })?;
        self.literal = literal;
        Ok(())
    }

    fn pieces(&mut self, cursor: &mut Cursor<'_>, literal: bool) -> Result<VecDeque<Piece>, Fault> {
        if self.place == Place::Name && self.mailbox.is_none() {
            let tag = cursor.word(is_tag_char, "a tag")?;
            self.tag = cursor.unit().slice_ref(tag);
            cursor.sp()?;
        }
        let mailbox = self.mailbox.clone();
        let before = mailbox.as_ref().map(|mailbox| (mailbox, self.replaces));
        let pieces = segment(cursor, &mut self.place, before, literal)?;
        if let Some(Piece::Message(append) | Piece::Catenate(append)) = pieces.first() {
            self.replaces |= append.replaces.is_some();
            self.mailbox = Some(append.mailbox.clone());
        }
        Ok(pieces.into())
    }

    pub(super) fn next(&mut self) -> Next {
        let Some(piece) = self.pieces.pop_front() else {
            return match self.literal {
                Some(_) => Next::Chunks,
                None => Next::End,
            };
        };
        let literal = self.literal.filter(|_| self.pieces.is_empty());
        let octets = literal.map(|literal| literal.octets);
        let tag = self.tag.clone();
        let item = match piece {
            Piece::Message(append) => {
                self.binary = append.binary;
                CommandItem::Append {
                    tag,
                    append,
                    octets,
                }
            }
            Piece::Catenate(append) => CommandItem::Append {
                tag,
                append,
                octets: None,
            },
            Piece::Url(url) => CommandItem::CatenateUrl(url),
            Piece::Text(binary) => {
                self.binary = binary;
                CommandItem::CatenateText {
                    octets: octets.unwrap_or(0),
                }
            }
        };
        Next::Item(Box::new(item), literal)
    }
}
