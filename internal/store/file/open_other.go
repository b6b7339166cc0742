//go:build !unix

package file

// atOnce is nothing where folders hold no pipes.
const atOnce = 0
