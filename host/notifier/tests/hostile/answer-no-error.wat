;; Answers with an error that there is not.
;; expect: bad return: the plugin `hostile` handed over what can't be read: unexpected discriminant: 99

(data (i32.const 256) "\01\00\00\00\00\00\00\00\63")
