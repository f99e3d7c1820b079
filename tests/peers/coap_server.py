"""An aiocoap server that remembers how often it handled each request.

POST /api/v1/provision  answers 2.01 with the request's own payload: at once (piggybacked) if the
                        payload ends in an even digit, else after the empty ACK (separate answer)
POST /counts            answers 2.04 with {payload: times handled}, block-wise when it is long
Prints its port on stdout once it listens.
"""

import asyncio
import json
import socket
import sys
from collections import Counter

import aiocoap
from aiocoap import resource
from aiocoap.numbers.constants import TransportTuning

HANDLED = Counter()


class Hasty(TransportTuning):
    """Retransmits separate answers soon, so that tests over lossy networks end soon."""

    ACK_TIMEOUT = 0.05
    MAX_RETRANSMIT = 8


class Provision(resource.Resource):
    async def render_post(self, request):
        payload = request.payload.decode()
        HANDLED[payload] += 1
        if int(payload[-1]) % 2:
            # Longer than aiocoap's EMPTY_ACK_DELAY of 0.1 s.
            await asyncio.sleep(0.15)
        return aiocoap.Message(
            code=aiocoap.CREATED, payload=request.payload, transport_tuning=Hasty()
        )


class Counts(resource.Resource):
    async def render_post(self, request):
        return aiocoap.Message(
            code=aiocoap.CHANGED, payload=json.dumps(HANDLED).encode()
        )


async def main():
    site = resource.Site()
    site.add_resource(["api", "v1", "provision"], Provision())
    site.add_resource(["counts"], Counts())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    await aiocoap.Context.create_server_context(
        site, bind=("127.0.0.1", port), transports=["simplesocketserver"]
    )
    print(port, flush=True)
    await asyncio.get_running_loop().create_future()


try:
    asyncio.run(main())
except KeyboardInterrupt:
    sys.exit(0)
