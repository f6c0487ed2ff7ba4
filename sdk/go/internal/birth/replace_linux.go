package birth

import "syscall"

// replace makes the descriptor `to` refer to the same file as from.
func replace(from, to int) error {
	return syscall.Dup3(from, to, 0)
}
