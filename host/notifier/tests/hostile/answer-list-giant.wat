;; Answers with 100,000 settings which all are the same empty one.
;; expect: delivered

(memory (export "memory") 64)
(data (i32.const 288) "\00\00\10\00\a0\86\01\00")
