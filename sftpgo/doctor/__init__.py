"""C{sftpgo doctor}: looks at an installation for what is wrong with it or will be, and says what to do.

Nothing is changed by looking.  Each module looks at one thing and gives L{sftpgo.doctor.finding.Finding}s.
"""
