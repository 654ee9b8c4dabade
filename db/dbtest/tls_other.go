//go:build !unix

package dbtest

func stopTLS() {}
