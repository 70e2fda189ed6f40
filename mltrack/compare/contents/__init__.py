"""Two files as bytes, texts, trees and numbers: what comparators of several formats need."""
