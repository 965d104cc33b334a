;; Answers with a list of 100,000 settings, of which none is there.
;; expect: bad return: the plugin `hostile` handed over what can't be read: list pointer/length out of bounds of memory

(data (i32.const 288) "\00\02\00\00\a0\86\01\00")
