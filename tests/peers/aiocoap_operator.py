"""A ThingsBoard of one device, made of aiocoap, for tests.

Provisions with the token TOK. Once attributes and calls are both observed, notifies of attributes and calls the device,
call by call as it answers. Then ends both observations by 5.03, waits until they are asked for again, notifies of more
attributes than one block holds, calls once more and prints "done". Prints its port first, and a line of JSON for each
answer of the device.
"""
import asyncio
import json
import socket

import aiocoap
from aiocoap import resource

PROVISIONED = {"status": "SUCCESS", "credentialsType": "ACCESS_TOKEN", "credentialsValue": "TOK"}
CALLS = [(1, "setGpio", {"pin": 7}), (2, "zähler", {"deep": [[1, {"a": None}]]}), (3, "last", {})]

def message(code, body):
    return aiocoap.Message(code=code, payload=json.dumps(body).encode(), content_format=50)


class Feed(resource.ObservableResource):
    """What it has at first, and whether it is observed."""

    def __init__(self, first):
        super().__init__()
        self.first, self.observed = first, asyncio.Event()

    async def add_observation(self, request, observation):
        await super().add_observation(request, observation)
        self.observed.set()

    async def render_get(self, request):
        return self.first()


class Provision(resource.Resource):
    async def render_post(self, request):
        return message(aiocoap.CREATED, PROVISIONED)


class Answer(resource.Resource):
    """POST rpc/ID."""

    def __init__(self, number):
        super().__init__()
        self.number, self.given = number, asyncio.Event()

    async def render_post(self, request):
        print(json.dumps({"id": self.number, "body": request.payload.decode()}), flush=True)
        self.given.set()
        return aiocoap.Message(code=aiocoap.CREATED)


class Telemetry(resource.Resource):
    async def render_post(self, request):
        return aiocoap.Message(code=aiocoap.CREATED)


async def main():
    attributes = Feed(lambda: message(aiocoap.CONTENT, {"shared": {"old": 1}}))
    calls = Feed(lambda: aiocoap.Message(code=aiocoap.VALID))
    answers = {number: Answer(number) for number, _, _ in CALLS}
    mine = ["api", "v1", "TOK"]
    site = resource.Site()
    site.add_resource(["api", "v1", "provision"], Provision())
    site.add_resource(mine + ["telemetry"], Telemetry())
    site.add_resource(mine + ["attributes"], attributes)
    site.add_resource(mine + ["rpc"], calls)
    for number, answer in answers.items():
        site.add_resource(mine + ["rpc", str(number)], answer)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    await aiocoap.Context.create_server_context(
        site, bind=("127.0.0.1", port), transports=["simplesocketserver"]
    )
    print(port, flush=True)

    async def call(number, method, params):
        body = {"id": number, "method": method, "params": params}
        calls.updated_state(message(aiocoap.CONTENT, body))
        await answers[number].given.wait()

    async def both():
        for feed in (attributes, calls):
            await feed.observed.wait()

    await both()
    attributes.updated_state(message(aiocoap.CONTENT, {"setpoint": 21}))
    await call(*CALLS[0])
    await call(*CALLS[1])
    for feed in (attributes, calls):
        feed.observed.clear()
        feed.updated_state(aiocoap.Message(code=aiocoap.SERVICE_UNAVAILABLE))
    await both()
    attributes.updated_state(message(aiocoap.CONTENT, {"long": "x" * 2000}))
    await call(*CALLS[2])
    print("done", flush=True)
    await asyncio.get_running_loop().create_future()


asyncio.run(main())
