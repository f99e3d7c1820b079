"""Observes a device's shared attributes and calls with aiocoap, and prints what it saw, for tests.

usage: aiocoap_observer.py PORT TOKEN

One line of JSON for each message: {"updates" or "calls": code, "payload": …, "observe": n}, and
{"reply": code} for each call, which it answers with {"method": …, "params": …}. Ends with its input.
"""
import asyncio
import json
import sys

import aiocoap

port, token = int(sys.argv[1]), sys.argv[2]
base = f"coap://127.0.0.1:{port}/api/v1/{token}"


def say(**what):
    print(json.dumps(what), flush=True)


def told(name, answer):
    say(**{name: str(answer.code), "payload": answer.payload.decode(), "observe": answer.opt.observe})


# A context for each request: aiocoap does not take a separate confirmable answer as the acknowledgement
# of its request, and holds back further requests of the same context.


async def reply(payload):
    call = json.loads(payload)
    body = json.dumps({"method": call["method"], "params": call["params"]}).encode()
    peer = await aiocoap.Context.create_client_context()
    message = aiocoap.Message(code=aiocoap.POST, uri=f"{base}/rpc/{call['id']}", payload=body)
    answer = await asyncio.wait_for(peer.request(message).response, 25)
    say(reply=str(answer.code))
    await peer.shutdown()


async def observe(name, path):
    peer = await aiocoap.Context.create_client_context()
    message = aiocoap.Message(code=aiocoap.GET, uri=f"{base}/{path}", observe=0)
    asked = peer.request(message)
    told(name, await asyncio.wait_for(asked.response, 25))
    async for notification in asked.observation:
        told(name, notification)
        if name == "calls":
            await reply(notification.payload)


async def main():
    watched = [("updates", "attributes"), ("calls", "rpc")]
    tasks = [asyncio.create_task(observe(*what)) for what in watched]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in tasks:
        task.cancel()


asyncio.run(main())
