//go:build unix && !linux

package birth

import "syscall"

// replace makes a descriptor mean what another does.
func replace(from, to int) error {
	return syscall.Dup2(from, to)
}

// askKernel is for systems whose kernel can end a group when a pipe closes.
func askKernel(int) bool {
	return false
}
