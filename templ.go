package main

//go:generate go tool templ generate -path views
