"""Microsoft's own client library against a sandbox: run in its own environment with BASE and TOKEN as arguments.

Lists, reads, changes, drafts, answers, sends and follows changes; prints what it saw as JSON.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import sys
from typing import Any

from kiota_abstractions.authentication import AuthenticationProvider
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.request_information import RequestInformation
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.body_type import BodyType
from msgraph.generated.models.email_address import EmailAddress
from msgraph.generated.models.file_attachment import FileAttachment
from msgraph.generated.models.item_body import ItemBody
from msgraph.generated.models.message import Message
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.recipient import Recipient
from msgraph.generated.users.item.mail_folders.item.messages.delta.delta_request_builder import DeltaRequestBuilder
from msgraph.generated.users.item.messages.item.create_reply.create_reply_post_request_body import (
    CreateReplyPostRequestBody,
)
from msgraph.generated.users.item.messages.item.move.move_post_request_body import MovePostRequestBody
from msgraph.generated.users.item.messages.messages_request_builder import MessagesRequestBuilder

BASE, TOKEN = sys.argv[1:3]


class Bearer(AuthenticationProvider):
    """The token we were given."""

    async def authenticate_request(
        self, request: RequestInformation, additional_authentication_context: dict[str, Any] | None = None
    ) -> None:
        request.headers.add("Authorization", f"Bearer {TOKEN}")


def configured(parameters: object | None = None) -> RequestConfiguration[Any]:
    """Query parameters with immutable ids."""
    configuration: RequestConfiguration[Any] = RequestConfiguration(query_parameters=parameters)
    configuration.headers.add("Prefer", 'IdType="ImmutableId"')
    return configuration


async def follow(inbox: Any, first: Any) -> tuple[list[Any], str]:
    """Every item of a delta round and its delta link."""
    items, page = list(first.value or []), first
    while page.odata_next_link:
        page = await inbox.messages.delta.with_url(page.odata_next_link).get(configured())
        items += page.value or []
    return items, page.odata_delta_link


async def main() -> None:
    """The whole story."""
    adapter = GraphRequestAdapter(Bearer())
    adapter.base_url = BASE + "/v1.0"
    graph = GraphServiceClient(request_adapter=adapter)
    inbox = graph.me.mail_folders.by_mail_folder_id("inbox")
    seen: dict[str, object] = {"version": importlib.metadata.version("msgraph-sdk")}

    seen["address"] = (await graph.me.get()).mail
    seen["folders"] = sorted(folder.display_name for folder in (await graph.me.mail_folders.get()).value)

    query = MessagesRequestBuilder.MessagesRequestBuilderGetQueryParameters(top=7, select=["id", "subject"])
    page = await graph.me.messages.get(configured(query))
    ids = [message.id for message in page.value]
    while page.odata_next_link:
        page = await graph.me.messages.with_url(page.odata_next_link).get(configured())
        ids += [message.id for message in page.value]
    seen["listed"] = len(set(ids))

    delta = DeltaRequestBuilder.DeltaRequestBuilderGetQueryParameters(select=["subject", "isRead"])
    items, link = await follow(inbox, await inbox.messages.delta.get(configured(delta)))
    seen["first_round"] = len(items)

    one = graph.me.messages.by_message_id(ids[0])
    message = await one.get(configured())
    seen["subject"] = message.subject
    seen["mime_starts"] = (await one.content.get())[:5].decode()
    await one.patch(Message(is_read=True, categories=["Clientes"]), configured())
    seen["read"] = (await one.get(configured())).is_read
    moved = await one.move.post(MovePostRequestBody(destination_id="archive"), configured())
    seen["id_survives_move"] = moved.id == ids[0]
    await graph.me.messages.by_message_id(ids[1]).delete()

    reply = await graph.me.messages.by_message_id(ids[2]).create_reply.post(
        CreateReplyPostRequestBody(comment="Obrigado!"), configured()
    )
    seen["reply"] = [reply.subject[:3], "Obrigado!" in reply.body.content]
    draft = await graph.me.messages.post(
        Message(
            subject="do cliente",
            body=ItemBody(content="<b>Oi</b>", content_type=BodyType.Html),
            to_recipients=[Recipient(email_address=EmailAddress(address="outra@example.net"))],
        ),
        configured(),
    )
    drafted = graph.me.messages.by_message_id(draft.id)
    await drafted.attachments.post(
        FileAttachment(
            odata_type="#microsoft.graph.fileAttachment", name="a.txt", content_type="text/plain", content_bytes=b"oi"
        )
    )
    seen["attachments"] = [one.name for one in (await drafted.attachments.get()).value]
    await drafted.send.post()
    seen["sent"] = not (await drafted.get(configured())).is_draft

    later, link = await follow(inbox, await inbox.messages.delta.with_url(link).get(configured()))
    seen["removed"] = sorted("@removed" in item.additional_data for item in later)
    try:
        await graph.me.messages.by_message_id("AAkALgAAAA=").get()
    except ODataError as missing:
        seen["missing"] = [missing.response_status_code, missing.error.code]
    sys.stdout.write(json.dumps(seen))


asyncio.run(main())
