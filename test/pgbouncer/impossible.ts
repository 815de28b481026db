interface Impossible {
  readonly reason: string
  /** The tests that need it, by file and name. */
  readonly tests: Readonly<Record<string, readonly string[]>>
}

/**
 * The tests that no program can pass through PgBouncer in transaction pooling mode. All other tests of
 * `behaviour` run there. (Startup parameters that PgBouncer does not know, and looking up a pid outside a
 * transaction, are impossible, too, but no behaviour needs them.)
 */
export const impossible: readonly Impossible[] = [
  {
    reason: 'a named statement is known to one session, and is executed in another',
    tests: {
      'reuse.test.ts': [
        'a prepared query of Drizzle uses its connection',
        '$client.query() with a name uses its connection',
      ],
      'types-parsers.test.ts': ['named statements see their usual types'],
    },
  },
  {
    reason: 'what is set outside a transaction stays with a session that others get',
    tests: { 'reuse.test.ts': ['a session can be used repeatedly without a transaction'] },
  },
  {
    reason: 'LISTEN listens in one session, which others get',
    tests: {
      'notify.test.ts': [
        'on a client of the pool receives what drizzle has committed',
        'on a client of the pool receives what kysely has committed',
        'on a client of the pool receives what shared has committed',
        'in a transaction of drizzle receives notifications outside of it',
        'in a transaction of kysely receives notifications outside of it',
        'in a transaction of shared receives notifications outside of it',
        'of drizzle takes effect when that has committed',
        'of kysely takes effect when that has committed',
        'of shared takes effect when that has committed',
        'of drizzle is rolled back with it',
        'of kysely is rolled back with it',
        'of shared is rolled back with it',
      ],
    },
  },
  {
    reason:
      "Kysely's migrator, outside a transaction, takes a lock of the session and gives it back",
    tests: {
      'migrations.test.ts': ['both also migrate outside transactions, each in one transaction'],
    },
  },
]

/** The list in words. */
export function describeImpossible(): string {
  const lines = impossible.flatMap(({ reason, tests }) => [
    `  ${reason}:`,
    ...Object.entries(tests).flatMap(([file, names]) =>
      names.map((name) => `    ${file}: ${name}`),
    ),
  ])
  return ['not tested behind PgBouncer, where', ...lines].join('\n')
}
