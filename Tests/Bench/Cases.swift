extension Bench {
    /// Every case, one line each, alphabetical.
    static let cases: [Case] = [
        apply,
        blockList,
        cel,
        crypto,
        evidence,
        json,
        policy,
        sse,
        tls,
    ]
}
