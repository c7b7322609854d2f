import ArgumentParser
import Hummingbird

@main struct Tidemark: ParsableCommand {}
