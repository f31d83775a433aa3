package verifier

import "github.com/bpfct/bpfct/link"

// VerifyRaw is Verify with the instructions as they are in raw: package asm forgets
// what is in fields that an instruction must leave zero.
func VerifyRaw(obj *link.Object, program string, raw []link.Raw, opts Options) (*Result, error) {
	e, err := newEnv(obj, obj.Programs[program], opts)
	if err != nil {
		return nil, err
	}
	for i := range e.slots {
		if s := &e.slots[i]; !s.isSecond() {
			imm := s.Imm
			if s.Raw = raw[i]; s.Op == opLoadImm64 && s.Src != 0 {
				s.Imm = imm
			}
		}
	}
	return e.verify()
}
