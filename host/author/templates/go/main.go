package main

// The compiler requires a main function. A component only exports functions, so it is never called.
func main() {}
