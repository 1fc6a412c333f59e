"""Send a message with an attachment, and look at the outcome of every recipient.

    python examples/send.py ann@example.com invoice.pdf

The room is that of POSTROOM_ROOM (or your own), with a service called orders-out; see
examples/orders.yaml.
"""

import sys

import postroom


def main(to: str, *attachments: str) -> int:
    """Send; 0 when everybody was accepted."""
    with postroom.open() as room:
        try:
            item = room.service("orders-out").send(
                to=to,
                subject="Your order 4711",
                text="Dear customer,\n\nyour order is on its way.\n",
                html="<p>Dear customer,</p><p>your order is <b>on its way</b>.</p>",
                attachments=attachments,
                idempotency_key=f"order-4711-{to}",  # called twice, it is sent once
            )
        except postroom.PostroomError as error:
            print(f"Not stored ({error.code}): {error}", file=sys.stderr)
            return error.exit_status
    for each in item.recipients:
        print(f"{each.address}: {each.state} {each.code} {each.enhanced} {each.reply}")
    if item.state == "sent":
        return 0
    print(f"Stored as {item.id}; follow it with: postroom outbox show {item.id}")
    return 1


if __name__ == "__main__":
    if len(sys.argv) < 2:
        print("Usage: python examples/send.py ADDRESS [FILE ...]", file=sys.stderr)
        sys.exit(2)
    sys.exit(main(*sys.argv[1:]))
