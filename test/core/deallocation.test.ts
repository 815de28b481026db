import { describe, expect, test } from 'vitest'
import { deallocations } from '../../packages/bridge/src/sql/deallocation.ts'

describe('deallocations', () => {
  test.each([
    ['discard all', 'all'],
    [' ; DISCARD /* what */ ALL;', 'all'],
    ['deallocate all', 'all'],
    ['deallocate prepare all', 'all'],
    ['deallocate "all"', { name: 'all' }],
    ['deallocate prepare "all"', { name: 'all' }],
    ['deallocate Plan', { name: 'plan' }],
    ['deallocate prepare "A ""b"""', { name: 'A "b"' }],
    ['deallocate prepare', { name: 'prepare' }],
  ])('of %j is %j', (text, expected) => {
    expect(deallocations(text)).toEqual([expected])
  })

  test.each(['discard plans', 'discard temp', 'deallocate', 'select 1', '', 'discard'])(
    'of %j are none',
    (text) => {
      expect(deallocations(text)).toEqual([])
    },
  )

  test('among several commands are found', () => {
    expect(deallocations('select 1; deallocate a; ; discard all; select 2')).toEqual([
      { name: 'a' },
      'all',
    ])
  })
})
