import KarsCore
import Testing

@Suite struct `HTTP URL` {
    @Test func `parts are found and ports default by scheme`() throws {
        let url = try HTTPURL(parsing: "HTTPS://API.Example.com/v1/x?q=%20a")
        #expect(url.scheme == .https && url.host == "api.example.com" && url.port == 443)
        #expect(url.target == "/v1/x?q=%20a" && url.authority == "api.example.com")
        #expect(try HTTPURL(parsing: "http://a:8080").description == "http://a:8080/")
        #expect(try HTTPURL(parsing: "http://a?x").target == "/?x")
        let v6 = try HTTPURL(parsing: "http://[::1]:81/")
        #expect(v6.host == "::1" && v6.authority == "[::1]:81")
    }

    @Test(arguments: [
        "", "http://", "ftp://a/", "http:/a", "//a", "http://a b/", "http://user@a/", "http://a:b@c/", "http://a/#f",
        "http://a\\b/",
        "http://a:0/", "http://a:/", "http://a:65536/", "http://a:080/", "http://[::1", "http://[::1]x/", "http://[127.0.0.1]/",
        "http://a..b/", "http://.a/", "http://a./", "http://-a/", "http://2130706433/", "http://0x7f.1/", "http://127.1/",
        "http://127.0.0.01/", "http://a%2eb/", "http://a/%zz", "http://a/%1", "http://\u{e9}/", "http://a/\u{7f}",
        "http://a\u{0}b/",
        "http://a/\r\nHost: b",
    ])
    func `an ambiguous or malformed address is refused`(text: String) {
        #expect(throws: HTTPURL.ParseError.self) { try HTTPURL(parsing: text) }
    }
}
