;; Has a help text and a summary of 100 KB: both are cut.
;; expect: described: `hostile` `hostile`, of 200 characters; key: of 200 characters (1)
;; call: describe

(data (i32.const 88) "\00\02\00\00\01\00\00\00")
(data (i32.const 80) "\00\10\00\00\a0\86\01\00")
(data (i32.const 400) "key")
(data (i32.const 512) "\90\01\00\00\03\00\00\00\00\10\00\00\a0\86\01\00")
(func (export "describe") (result i32)
  (memory.fill (i32.const 4096) (i32.const 0x78) (i32.const 100000))
  (i32.const 64))
