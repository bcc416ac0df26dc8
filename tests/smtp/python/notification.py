"""Reads a notification with Python's email, and prints what it says as JSON."""

import email
import email.parser
import email.policy
import json
import sys

POLICY = email.policy.SMTPUTF8


def fields(message):
    return {name.lower(): str(value) for name, value in message.items()}


def groups(part):
    """The groups of fields: of the message, then of each recipient."""
    if part.get_content_type() == "message/delivery-status":
        return [fields(group) for group in part.get_payload()]
    # Python reads only the type above by itself: of its sister it takes the first group for a header.
    first = part.get_payload(0)
    all_groups = [fields(first)]
    parser = email.parser.Parser(policy=POLICY)
    text = first.get_payload(decode=True).decode("utf-8")
    for group in text.replace("\r\n", "\n").split("\n\n"):
        if group.strip():
            all_groups.append(fields(parser.parsestr(group.lstrip("\n") + "\n")))
    return all_groups


def returned(part):
    if part.get_content_type() == "text/rfc822-headers":
        inner = email.message_from_string(part.get_payload(), policy=POLICY)
    else:
        inner = part.get_payload(0)
    return {"subject": str(inner["Subject"]), "text": inner.get_content()}


message = email.message_from_bytes(sys.stdin.buffer.read(), policy=POLICY)
parts = list(message.iter_parts())
status = groups(parts[1])
defects = [str(defect) for part in message.walk() for defect in part.defects]
print(
    json.dumps(
        {
            "header": fields(message),
            "type": message.get_content_type(),
            "report": message.get_param("report-type"),
            "parts": [part.get_content_type() for part in parts],
            "text": parts[0].get_content(),
            "message": status[0],
            "recipients": status[1:],
            "returned": returned(parts[2]) if len(parts) > 2 else None,
            "defects": defects,
        }
    )
)
