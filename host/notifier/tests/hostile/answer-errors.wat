;; Refuses the settings for 10,000 reasons: the first are shown.
;; expect: config: the settings for `hostile` are wrong: ; ; ; ; ; ; ; ; ; ; ; ; ; ; ; ; ; ; ; 

(memory (export "memory") 64)
(data (i32.const 256) "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\10\00\10\27\00\00")
