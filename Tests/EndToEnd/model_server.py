"""An OpenAI-compatible model server that requires a key and writes down what it saw.

usage: model_server.py PORT-FILE LOG-FILE KEY. Listens on a free loopback port and writes it to PORT-FILE.
Knobs in the last user message: `stall`, `garbage`, `break`, `slow stream`, `use a tool`, `spend N`.
"""
import http.server
import json
import pathlib
import re
import socket
import sys
import threading
import time

port_file, log_file, KEY = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
lock = threading.Lock()


def log(**entry):
    with lock, log_file.open("a") as file:
        file.write(json.dumps(entry) + "\n")


class Model(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def send_json(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.send_json(200, {"object": "list", "data": [{"id": "test-model", "object": "model", "created": 1, "owned_by": "tests"}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        authorization = self.headers.get("Authorization")
        log(event="request", path=self.path, authorization=authorization, body=body)
        if authorization != f"Bearer {KEY}":
            return self.send_json(401, {"error": {"message": "wrong key", "type": "invalid_request_error", "code": "invalid_api_key"}})
        prompt = next((m["content"] for m in reversed(body["messages"]) if m["role"] == "user"), "")
        last = body["messages"][-1]
        if "stall" in prompt:
            time.sleep(30)
            return
        if "garbage" in prompt:
            data = b"\x00\xff this is no JSON {"
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            return self.wfile.write(data)
        spend = re.search(r"spend (\d+)", prompt)
        total = int(spend.group(1)) if spend else 12
        usage = {"prompt_tokens": 2, "completion_tokens": total - 2, "total_tokens": total}
        wants_tool = "use a tool" in prompt and body.get("tools") and last["role"] == "user"
        text = f"the tool said: {last['content']}" if last["role"] == "tool" else f"you said: {prompt}"
        call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}
        common = {"id": "chatcmpl-1", "created": int(time.time()), "model": body["model"]}
        if not body.get("stream"):
            message = {"role": "assistant", "content": None, "tool_calls": [call]} if wants_tool else {"role": "assistant", "content": text}
            reason = "tool_calls" if wants_tool else "stop"
            return self.send_json(200, {**common, "object": "chat.completion", "usage": usage, "choices": [{"index": 0, "message": message, "finish_reason": reason}]})
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            if wants_tool:
                self.event({**common, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": [{"index": 0, **call}]}, "finish_reason": None}]})
            for count, word in enumerate([] if wants_tool else text.split(" ")):
                if "break" in prompt and count == 2:
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                if "slow stream" in prompt:
                    time.sleep(0.25)
                self.event({**common, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"role": "assistant", "content": word + " "}, "finish_reason": None}]})
            self.event({**common, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls" if wants_tool else "stop"}]})
            if body.get("stream_options", {}).get("include_usage"):
                self.event({**common, "object": "chat.completion.chunk", "choices": [], "usage": usage})
            self.chunk(b"data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")
            log(event="streamed")
        except (BrokenPipeError, ConnectionResetError):
            log(event="cancelled")

    def event(self, value):
        self.chunk(b"data: " + json.dumps(value).encode() + b"\n\n")

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
port_file.write_text(str(server.server_address[1]))
server.serve_forever()
