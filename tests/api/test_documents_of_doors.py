"""What every door says: documents, statuses, problems, tags."""

from __future__ import annotations

from postroom.api.description import description
from postroom.app import NOUNS
from postroom.operations.asking import DECLARED, all_asked
from tests.api.asking import Client

PASSWORD = "correct horse battery staple"


async def test_a_credential_is_made_shown_changed_and_deleted(client: Client) -> None:
    made = await client.post(
        "/credentials",
        json={
            "name": "acme",
            "type": "password",
            "details": {"user_name": "ann", "password": PASSWORD},
        },
    )
    assert made.status_code == 201, made.text
    assert made.json()["credential"]["state"] == "complete"
    shown = await client.get("/credentials/acme")
    assert shown.status_code == 200
    assert shown.json()["fields"]["password"] == "****aple"
    tag = shown.headers["etag"]
    changed = await client.patch(
        "/credentials/acme", json={"description": "x"}, headers={"If-Match": tag}
    )
    assert changed.status_code == 200, changed.text
    again = await client.patch(
        "/credentials/acme", json={"description": "y"}, headers={"If-Match": tag}
    )
    assert again.status_code == 412
    assert again.json()["code"] == "changed_since"
    assert (await client.get("/credentials/acme")).json()["description"] == "x"
    listed = await client.get("/credentials")
    assert [one["name"] for one in listed.json()["items"]] == ["acme"]
    gone = await client.delete("/credentials/acme")
    assert gone.status_code == 204
    assert (await client.get("/credentials/acme")).status_code == 404


async def test_a_long_list_comes_in_pages(client: Client) -> None:
    for name in ("b", "A", "d", "C"):
        await client.post("/credentials", {"name": name, "type": "secret"})
    seen, after = [], ""
    while True:
        page = (await client.get(f"/credentials?limit=3&after={after}")).json()
        seen.append([one["name"] for one in page["items"]])
        if page["next"] is None:
            break
        after = page["next"]
    assert seen == [["A", "b", "C"], ["d"]]
    assert (await client.get("/credentials?limit=0")).status_code == 422


def test_what_is_taken_is_said_field_by_field() -> None:
    """A body that is a definition names every field of it, in each door that takes one."""
    asked = all_asked(NOUNS)
    document = description(asked)
    models = document["components"]["schemas"]
    taking = [
        one.door for one in asked.values() if any(each.place == "fields" for each in one.parameters)
    ]
    assert {door.noun for door in taking} == set(DECLARED)
    for door in taking:
        operation = document["paths"][door.path][door.http.lower()]
        told = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        fields = {info.alias or name for name, info in DECLARED[door.noun].model_fields.items()}
        known = set(models[told.rpartition("/")[2]]["properties"])
        assert fields - known <= ({"name"} if "{name}" in door.path else set()), door
