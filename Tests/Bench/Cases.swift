extension Bench {
    /// Every case, one line each, alphabetical.
    static let cases: [Case] = [
        apply,
        blockList,
        crypto,
        evidence,
        json,
        policy,
        sse,
        tls,
    ]
}
