"""Provisions a device with aiocoap and prints what was seen as one line of JSON.

usage: aiocoap_device.py PORT REQUEST [telemetry]

With "telemetry" it then sends three messages with the token it was given, and asks for the client
attributes that it wrote.
"""
import asyncio
import json
import sys

import aiocoap


async def main():
    port, request = int(sys.argv[1]), sys.argv[2].encode()
    base = f"coap://127.0.0.1:{port}/api/v1"

    async def ask(code, path, payload=b""):
        # A context each: aiocoap takes a separate confirmable answer, but not as the acknowledgement
        # of its request, and holds back further requests until it gave that one up.
        peer = await aiocoap.Context.create_client_context()
        message = aiocoap.Message(code=code, uri=f"{base}/{path}", payload=payload)
        answer = await asyncio.wait_for(peer.request(message).response, 25)
        await peer.shutdown()
        return answer

    answer = await ask(aiocoap.POST, "provision", request)
    seen = {
        "code": str(answer.code),
        "format": answer.opt.content_format,
        "response": answer.payload.decode(),
    }
    if "telemetry" in sys.argv:
        token = json.loads(answer.payload)["credentialsValue"]
        seen["telemetry"] = []
        for n in range(3):
            payload = json.dumps({"temperature": n}).encode()
            told = await ask(aiocoap.POST, f"{token}/telemetry", payload)
            seen["telemetry"].append((str(told.code), str(told.mtype)))
        await ask(aiocoap.POST, f"{token}/attributes", b'{"serial":"x7"}')
        told = await ask(aiocoap.GET, f"{token}/attributes?clientKeys=serial")
        seen["attributes"] = told.payload.decode()
    print(json.dumps(seen))


asyncio.run(main())
