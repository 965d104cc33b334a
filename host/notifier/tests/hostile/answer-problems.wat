;; Complains of 10,000 settings: the first are shown.
;; expect: validated: 20: ``
;; call: validate

(memory (export "memory") 64)
(data (i32.const 512) "\00\00\10\00\10\27\00\00")
(func (export "validate") (param i32 i32) (result i32)
  (i32.const 512))
