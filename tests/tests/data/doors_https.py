# One HTTPS request to the devices' port. PLACE says where the server is, ASKED what is asked of it.
import http.client
import json
import ssl

context = ssl.create_default_context(cafile=PLACE["root"])
context.set_alpn_protocols([ASKED["alpn"]])
if ASKED["files"]:
    context.load_cert_chain(*ASKED["files"])
connection = http.client.HTTPSConnection(PLACE["host"], PLACE["alpn"], timeout=20, context=context)
try:
    method = ASKED.get("method", "POST")
    body = b"hello" if method == "POST" else None
    connection.request(method, ASKED["path"], body, ASKED.get("headers", {}))
    answer = connection.getresponse()
    print(json.dumps([answer.status, json.loads(answer.read() or b"null")]))
except (ssl.SSLError, ConnectionError) as error:
    print(json.dumps([0, str(error)]))
