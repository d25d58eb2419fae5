import KarsCore
import Testing

@Suite struct `Policy digests` {
    static let endpoints = #"{"schemaVersion":1,"endpoints":[{"host":"a.example","port":443},{"host":"b.example","port":8443}]}"#

    @Test(arguments: [
        (
            "inference-policy.json", #"{"tokenBudget":{"perRequestTokens":100}}"#,
            "sha256:e62fdbdb01f0da186e70e530f2238ceeaf3755bf6e09a0bc533071aa578705ce"
        ),
        ("allowlist.json", endpoints, "sha256:782c6aedb45fe8457c10f95b481bbdae92711c6bd21e0d38eb46e14c43583ef3"),
        ("merged-allowlist.json", endpoints, "sha256:198b19f6015f413581c14e4019c761aeb2a37e40b65352a4d9d6f66dbd1a1161"),
        (
            "merged-allowlist.json", #"{"schemaVersion":1,"endpoints":[]}"#,
            "sha256:a4e8758c709436be73354af3b0d55e47d25f3b443c9e827c53b4c73fd67e2d9f"
        ),
        (
            "binding.json", #"{"storeName":"s1","scope":"agent_x"}"#,
            "sha256:db77825fa20713ef1989db8b310ecdf162af6ef6d7aedb96a1cea202fdf201ee"
        ),
    ])
    func `one file hashes to its golden digest`(name: String, body: String, digest: String) {
        #expect(PolicyDigest(name: name, body: Array(body.utf8)).description == digest)
    }

    @Test func `a directory of profiles hashes in the order of its paths`() {
        let a = (name: "a.yaml", body: Array("version: \"1.0\"\nagent: a\npolicies: []\n".utf8))
        let b = (name: "b.yaml", body: Array("version: \"1.0\"\nagent: b\npolicies: []\n".utf8))
        let golden = "sha256:5f034b8760d69888db7607f34bd3f65aa154c6de96a1a09defc355f3f6107c17"
        #expect(PolicyDigest(files: [a, b]).description == golden)
        #expect(PolicyDigest(files: [b, a]).description == golden)
    }

    @Test func `an empty directory hashes to the digest of no bytes`() {
        #expect(
            PolicyDigest(files: []).description
                == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    }

    @Test func `moving a byte between name and body changes the digest`() {
        #expect(PolicyDigest(name: "ab", body: [0x63]) != PolicyDigest(name: "a", body: [0x62, 0x63]))
    }
}
