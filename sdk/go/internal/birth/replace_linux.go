package birth

import "syscall"

// replace makes a descriptor mean what another does.
func replace(from, to int) error {
	return syscall.Dup3(from, to, 0)
}
