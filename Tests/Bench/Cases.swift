extension Bench {
    /// Every case, one line each, alphabetical.
    static let cases: [Case] = [
        blockList,
        crypto,
        json,
        policy,
        sse,
        tls,
    ]
}
