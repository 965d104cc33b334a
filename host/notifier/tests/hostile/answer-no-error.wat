;; Answers with an error that there is not.
;; expect: trap: the plugin `hostile` crashed: unexpected discriminant: 99

(data (i32.const 256) "\01\00\00\00\00\00\00\00\63")
