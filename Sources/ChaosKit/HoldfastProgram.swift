import IORuntime

/// Where the program under test is: the build puts all programs, and the tests, side by side.
package enum HoldfastProgram {
    package static var besideThisOne: String? {
        guard let path = ProgramEnvironment.executablePath, let slash = path.lastIndex(of: "/")
        else { return nil }
        return path[..<slash] + "/holdfast"
    }
}
