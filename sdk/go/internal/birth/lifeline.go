package birth

import "syscall"

// hold watches the read end of the engine's pipe until the process ends.
func hold(descriptor int) {
	syscall.CloseOnExec(descriptor)
	if askKernel(descriptor) {
		return
	}
	go func() {
		// The pipe has no writer: a read returns when the engine is gone.
		_, _ = raw(descriptor).Read(make([]byte, 1))
		end()
	}()
}

// end kills the whole process group.
func end() {
	_ = syscall.Kill(-syscall.Getpgrp(), syscall.SIGKILL)
}
