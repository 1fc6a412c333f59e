"""A job that asks an HTTP API for what is new, with a stored token, and remembers how far it came.

The room file that runs it every hour, as `postroom apply` takes it:

    postroom: 1
    credentials:
      - name: crm
        type: generic
        description: The customers' API
        fields: {url: {value: "https://crm.example.com", plain: true}, token: {from_env: CRM_TOKEN}}
    jobs:
      - {name: new-customers, python: ./crm.py, credentials: [crm], schedule: {every: 1h}}

Once by hand: postroom job run new-customers
"""

import json
from urllib.parse import quote
from urllib.request import Request, urlopen


def main(context):
    """Called by Postroom: `context` has what the job was granted, and nothing else."""
    crm = context.credentials["crm"]
    since = context.state.get("since", "2026-01-01")
    request = Request(
        f"{crm['url']}/customers?since={quote(since)}",
        headers={"Authorization": f"Bearer {crm['token'].reveal()}"},
    )
    with urlopen(request, timeout=30) as answer:
        customers = json.load(answer)
    for one in customers:
        context.log(f"{one['created']} {one['name']}")
    if customers:
        context.state["since"] = max(one["created"] for one in customers)
    return {"new": len(customers)}
