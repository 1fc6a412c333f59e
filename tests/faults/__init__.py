"""Faults: real processes of ours, killed and frozen at chosen moments, and what must hold afterwards.

How a test of this folder works
    A *scenario* is a coroutine function ``scenario(stage, mutant="")``: it starts children, hurts
    them, looks at the room they leave, and answers with a list of sentences that say what is wrong.
    The test of the scenario asserts that the list is empty; the self-test runs the same scenario
    with a *mutant*, a bug seeded in the children, and asserts that it is not.

The pieces
    ``dose``      how much: ``dose(short, full, long)``, chosen by the environment variable FAULTS
    ``children``  ``Victim``: a child process of ours.  It runs a client (a coroutine function that
                  is named ``module:function``) or a whole command line, and dies with its parent
    ``nursery``   forks the children from an interpreter that has imported everything
    ``spots``     crash points.  There are none in the code of the product: a child wraps the named
                  function, or looks for the named SQL statement, before the product runs in it
    ``disk``      a disk that refuses one write, sync or name: a library that children preload
    ``points``    the named crash points of the store and the keys, one line each
    ``history``   what the clients did, as lines in a pipe that the parent owns, and its checkers
    ``mutants``   the seeded bugs, one entry each: what is patched, and which scenario catches it
    ``stage``     what a scenario is given: a room of its own, chance from a seed, the servers
    ``inside``    what runs in the child before the client does

A crash point is a text: ``postroom.vault.terms:Terms.insert after 2`` is the moment after the second
return of that method, ``sql COMMIT before`` the one before the first COMMIT.  What happens there is
the child's death by SIGKILL, or its freezing by SIGSTOP (``stop=True``), which is how an interleaving
is forced.  A point that is never reached makes a test fail: it would show nothing.

To add a fault: a scenario beside its test, its clients in a module that imports no test.  To add a
mutant: a function and one entry in ``mutants.py``.  kill -9 is no power loss: the kernel still
writes what it was given.  What a lost cache does is shown by ``test_torn.py`` alone.
"""
