import KarsCore
import Testing

@Suite struct `HTTP headers` {
    @Test func `names compare without regard to case and order is kept`() {
        var headers: HTTPHeaders = ["Host": "a", "X-One": "1", "x-one": "2", "Content-Length": "3"]
        #expect(headers["host"] == "a")
        #expect(headers["CONTENT-LENGTH"] == "3")
        #expect(headers.values("X-ONE") == ["1", "2"])
        #expect(headers.map(\.name) == ["Host", "X-One", "x-one", "Content-Length"])
        headers["x-one"] = "3"
        #expect(headers.values("x-one") == ["3"])
        headers["x-one"] = nil
        #expect(!headers.contains("x-one") && headers.count == 2)
        #expect(headers == ["HOST": "a", "content-length": "3"])
        #expect(headers != ["HOST": "A", "content-length": "3"])
    }

    @Test func `tokens are found in lists`() {
        let headers: HTTPHeaders = ["Connection": "keep-alive,  Upgrade ", "Connection": "x"]
        #expect(headers.contains(token: "upgrade", in: "connection"))
        #expect(headers.contains(token: "X", in: "connection"))
        #expect(!headers.contains(token: "up", in: "connection"))
    }

    @Test func `what belongs to one hop is removed with the fields it names`() {
        var headers: HTTPHeaders = [
            "Connection": "close, X-Mine", "x-mine": "1", "Keep-Alive": "5", "Transfer-Encoding": "chunked", "TE": "trailers",
            "Proxy-Authorization": "secret", "Upgrade": "h2c", "Accept": "*/*",
        ]
        headers.removeHopByHop()
        #expect(headers == ["accept": "*/*"])
    }

    @Test func `a description shows no value`() {
        #expect("\(["Authorization": "Bearer x"] as HTTPHeaders)" == "[Authorization]")
    }
}
