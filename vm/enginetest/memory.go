package enginetest

import (
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/bpfct/bpfct/vm"
)

// storeImm also stores 64 bits, which asm.StoreImm does not.
func storeImm(dst asm.Register, off int16, imm int32, size asm.Size) asm.Instruction {
	return asm.Instruction{OpCode: asm.StoreImmOp(size), Dst: dst, Offset: off, Constant: int64(imm)}
}

func memoryTests() []test {
	value := LoadValue(asm.R6, "value", 0)
	const r0, r1, r2, r6, fp = asm.R0, asm.R1, asm.R2, asm.R6, asm.R10
	pattern := imm64(r1, 0x8182838485868788)
	on := func(base asm.Register, off int16, body ...asm.Instruction) asm.Instructions {
		return append(asm.Instructions{value, pattern, asm.StoreMem(base, off, r1, asm.DWord)}, returns(body...)...)
	}
	tests := []test{
		{name: "bytes are little-endian", r0: 0x87, insns: on(fp, -8, asm.LoadMem(r0, fp, -7, asm.Byte))},
		{name: "half", r0: 0x8586, insns: on(fp, -8, asm.LoadMem(r0, fp, -6, asm.Half))},
		{name: "word", r0: 0x81828384, insns: on(fp, -8, asm.LoadMem(r0, fp, -4, asm.Word))},
		{name: "unaligned", r0: 0x8485868788, insns: on(fp, -512, asm.LoadMem(r0, fp, -512, asm.DWord),
			asm.StoreMem(fp, -505, r0, asm.Byte), asm.LoadMem(r0, fp, -512, asm.DWord), asm.LSh.Imm(r0, 24), asm.RSh.Imm(r0, 24))},
		{name: "sign-extended byte", r0: ^uint64(0x7d), insns: on(r6, 0, asm.LoadMemSX(r0, r6, 6, asm.Byte))},
		{name: "sign-extended half", r0: ^uint64(0x7e7d), insns: on(r6, 0, asm.LoadMemSX(r0, r6, 6, asm.Half))},
		{name: "sign-extended word", r0: ^uint64(0x7e7d7c7b), insns: on(r6, 0, asm.LoadMemSX(r0, r6, 4, asm.Word))},
		{name: "store of an immediate sign-extends", r0: ^uint64(0), insns: on(r6, 8, storeImm(r6, 8, -1, asm.DWord),
			asm.LoadMem(r0, r6, 8, asm.DWord))},
		{name: "store of a byte leaves the rest", r0: 0x81828384858687ff, insns: on(r6, 8, storeImm(r6, 8, -1, asm.Byte),
			asm.LoadMem(r0, r6, 8, asm.DWord))},
		{name: "a new frame is zero", insns: returns(asm.LoadMem(r0, fp, -512, asm.DWord))},

		{name: "NULL", fault: vm.NullDereference, text: "read of 4 bytes at 0x0 (R1)",
			insns: returns(asm.Mov.Imm(r1, 0), asm.LoadMem(r0, r1, 0, asm.Word))},
		{name: "a member of NULL", fault: vm.NullDereference, text: "write of 8 bytes at 0x80 (R2)",
			insns: returns(asm.Mov.Imm(r2, 0), storeImm(r2, 128, 1, asm.DWord))},
		{name: "before NULL", fault: vm.WildAddress, text: "read of 1 bytes at 0xffffffffffffffff (R1)",
			insns: returns(asm.Mov.Imm(r1, 0), asm.LoadMem(r0, r1, -1, asm.Byte))},
		{name: "a number", fault: vm.WildAddress, insns: returns(imm64(r1, 0xabcdef0123456789), asm.LoadMem(r0, r1, 0, asm.DWord))},
		{name: "past the end", fault: vm.OutOfBounds, text: "map value of value offset 64",
			insns: returns(value, asm.LoadMem(r0, r6, 64, asm.Byte))},
		{name: "over the end", fault: vm.OutOfBounds, text: "map value of value offset 60",
			insns: returns(value, asm.StoreMem(r6, 60, r6, asm.DWord))},
		{name: "before the start", fault: vm.OutOfBounds, text: "map value of value offset -1",
			insns: returns(value, asm.LoadMem(r0, r6, -1, asm.Byte))},
		{name: "below the stack", fault: vm.OutOfBounds, text: "stack frame offset -8",
			insns: returns(asm.StoreMem(fp, -520, fp, asm.DWord))},
		{name: "above the stack", fault: vm.OutOfBounds, text: "stack frame offset 512", insns: returns(asm.LoadMem(r0, fp, 0, asm.Byte))},
		{name: "atomic out of bounds", fault: vm.OutOfBounds, insns: returns(value, asm.FetchAdd.Mem(r6, r1, asm.DWord, 64))},
		{name: "atomic unaligned", fault: vm.Misaligned, text: "write of 8 bytes", insns: returns(value, asm.FetchAdd.Mem(r6, r1, asm.DWord, 4))},
		{name: "acquire out of bounds", fault: vm.OutOfBounds, text: "(R6)", insns: returns(value, asm.LoadAcquire(r0, r6, asm.Word, 64))},
		{name: "release to NULL", fault: vm.NullDereference, text: "(R1)",
			insns: returns(asm.Mov.Imm(r1, 0), asm.StoreRelease(r1, r1, asm.Half, 2))},
		{name: "read-only", fault: vm.WriteProtected, text: "write of 1 bytes",
			setup: func(t *testing.T, e *Env) {
				e.Object(t, vm.ObjectSpec{Kind: vm.KindMapValue, Name: "rodata", Size: 16, ReadOnly: true})
			}, insns: returns(LoadValue(r1, "rodata", 3), storeImm(r1, 0, 1, asm.Byte))},
		{name: "read-only but for some bytes", fault: vm.WriteProtected, text: "offset 8",
			setup: func(t *testing.T, e *Env) {
				e.Object(t, vm.ObjectSpec{Kind: vm.KindView, Name: "struct nf_conn", Size: 16,
					Writable: func(off, size uint32) bool { return off == 4 && size == 4 }})
			}, insns: returns(LoadObject(r1, "struct nf_conn"), storeImm(r1, 4, 1, asm.Word), storeImm(r1, 8, 1, asm.Word))},
		{name: "over the end of an element", fault: vm.OutOfBounds, text: "offset 10",
			setup: func(t *testing.T, e *Env) {
				e.Object(t, vm.ObjectSpec{Kind: vm.KindMapValue, Name: "array", Size: 64, Stride: 16, Elem: 12})
			}, insns: returns(LoadValue(r1, "array", 16), asm.LoadMem(r0, r1, 8, asm.Word), asm.LoadMem(r0, r1, -6, asm.Word))},
		{name: "after free", fault: vm.UseAfterRelease, text: "kernel object thing",
			setup: func(t *testing.T, e *Env) {
				e.M.Mem.Free(e.Object(t, vm.ObjectSpec{Kind: vm.KindView, Name: "thing", Size: 16}), vm.Site{})
			}, insns: returns(LoadObject(r1, "thing"), asm.LoadMem(r0, r1, 0, asm.Word))},
		{name: "after the function returned", fault: vm.UseAfterRelease, text: "has returned",
			insns: asm.Instructions{asm.Call.Label("f"), asm.LoadMem(r0, r0, -8, asm.DWord), asm.Return(),
				asm.Mov.Reg(r0, fp).WithSymbol("f"), asm.Return()}},
		{name: "the caller's stack", r0: 7, insns: asm.Instructions{asm.Mov.Reg(r1, fp), asm.Call.Label("f"),
			asm.LoadMem(r0, fp, -8, asm.DWord), asm.Return(), storeImm(r1, -8, 7, asm.DWord).WithSymbol("f"), asm.Return()}},
		{name: "a write is reported to the object", r0: 3<<32 | 4,
			setup: func(t *testing.T, e *Env) {
				var o *vm.Object
				o = e.Object(t, vm.ObjectSpec{Kind: vm.KindView, Name: "watched", Size: 16, OnWrite: func(off, size uint32) {
					b := o.Bytes()
					b[8+off], b[12] = b[off], byte(off+size)
				}})
			}, insns: returns(LoadObject(r1, "watched"), storeImm(r1, 0, 3, asm.Byte), asm.LoadMem(r0, r1, 8, asm.Byte),
				asm.LSh.Imm(r0, 32), asm.Mov.Imm(r2, 4), asm.FetchOr.Mem(r1, r2, asm.Word, 0),
				asm.LoadMem(r2, r1, 12, asm.Byte), asm.Or.Reg(r0, r2))},
	}
	return append(tests, atomicTests()...)
}

func atomicTests() []test {
	// The word holds 0xf0f0f0f0_80000001, r2 0x0ff00ff0_00000003, r0 what cmpxchg
	// expects; the result is the word xor what r2 then holds.
	atomic := func(name string, op asm.AtomicOp, size asm.Size, expect, want uint64) test {
		return test{name: name, r0: want, insns: returns(LoadValue(asm.R6, "value", 0), imm64(asm.R1, 0xf0f0f0f080000001),
			asm.StoreMem(asm.R6, 0, asm.R1, asm.DWord), imm64(asm.R2, 0x0ff00ff000000003), imm64(asm.R0, expect),
			op.Mem(asm.R6, asm.R2, size, 0), asm.Mov.Reg(asm.R3, asm.R0), asm.LoadMem(asm.R0, asm.R6, 0, asm.DWord), asm.Xor.Reg(asm.R0, asm.R2),
			asm.Xor.Reg(asm.R0, asm.R3))}
	}
	const w, r = 0xf0f0f0f080000001, 0x0ff00ff000000003
	return []test{
		atomic("atomic add", asm.AddAtomic, asm.DWord, 0, (w+r)&(1<<64-1)^r),
		atomic("atomic add of a word", asm.AddAtomic, asm.Word, 0, 0xf0f0f0f080000004^r),
		atomic("atomic or", asm.OrAtomic, asm.DWord, 0, (w|r)^r),
		atomic("atomic and", asm.AndAtomic, asm.DWord, 0, (w&r)^r),
		atomic("atomic xor", asm.XorAtomic, asm.DWord, 0, w),
		atomic("fetch and add", asm.FetchAdd, asm.DWord, 0, (w+r)&(1<<64-1)^w),
		atomic("fetch and add of a word", asm.FetchAdd, asm.Word, 0, 0xf0f0f0f080000004^0x80000001),
		atomic("fetch and and of a word", asm.FetchAnd, asm.Word, 0, 0xf0f0f0f000000001^0x80000001),
		atomic("exchange", asm.Xchg, asm.DWord, 0, r^w),
		atomic("exchange of a word", asm.Xchg, asm.Word, 0, 0xf0f0f0f000000003^0x80000001),
		atomic("compare and exchange", asm.CmpXchg, asm.DWord, w, w), // r^r^w
		atomic("compare and exchange of what is not there", asm.CmpXchg, asm.DWord, 5, w^r^w),
		atomic("compare and exchange of a word", asm.CmpXchg, asm.Word, 1<<32|0x80000001, 0xf0f0f0f000000003^r^0x80000001),
		{name: "load acquire of a byte", r0: 0x82, insns: returns(LoadValue(asm.R6, "value", 8), imm64(asm.R1, 0x8182838485868788),
			asm.StoreMem(asm.R6, 0, asm.R1, asm.DWord), asm.LoadAcquire(asm.R0, asm.R6, asm.Byte, 6))},
		{name: "store release of a half", r0: 0x8182f48c85868788, insns: returns(LoadValue(asm.R6, "value", 8), imm64(asm.R1, 0x8182838485868788),
			asm.StoreMem(asm.R6, 0, asm.R1, asm.DWord), asm.Mov.Imm(asm.R1, 0x3f48c), asm.StoreRelease(asm.R6, asm.R1, asm.Half, 4),
			asm.LoadMem(asm.R0, asm.R6, 0, asm.DWord))},
	}
}
