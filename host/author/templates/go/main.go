package main

// A component has functions that are called, and no program that runs; the compiler asks for one all the same.
func main() {}
