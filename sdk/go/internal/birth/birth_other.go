//go:build unix && !linux

package birth

import "syscall"

// replace makes the descriptor `to` refer to the same file as from.
func replace(from, to int) error {
	return syscall.Dup2(from, to)
}

// askKernel does nothing: only Linux can kill a group when a pipe closes.
func askKernel(int) bool {
	return false
}
