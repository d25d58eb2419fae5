"""A bring-your-own agent in the reference shape: GET /healthz, POST /chat {prompt} -> {reply}, over the unmodified openai package."""
import http.server
import json
import os

import openai

client = openai.OpenAI()  # base URL and placeholder key come from the sandbox's environment


class Agent(http.server.BaseHTTPRequestHandler):
    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer({"status": "ok"})

    def do_POST(self):
        prompt = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["prompt"]
        completion = client.chat.completions.create(model=os.environ["KARS_MODEL"], messages=[{"role": "user", "content": prompt}])
        self.answer({"reply": completion.choices[0].message.content})


http.server.ThreadingHTTPServer(("127.0.0.1", 18789), Agent).serve_forever()
