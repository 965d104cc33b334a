;; Answers with an id of 100 KB and as much to say: both are cut.
;; expect: delivered, remote id of 200 characters, detail of 500 characters

(data (i32.const 264) "\01\00\00\00\00\02\00\00\a0\86\01\00\01\00\00\00\00\02\00\00\a0\86\01\00")
(func (export "notify") (param i32) (result i32)
  (memory.fill (i32.const 512) (i32.const 0x78) (i32.const 100000))
  (i32.const 256))
