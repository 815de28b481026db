import { describe, expect, test } from 'vitest'
import { InvalidArgumentError, OptionsConflictError } from '../../packages/bridge/src/errors.ts'
import {
  assertSameSettings,
  settingsOf,
  type SharedConnectionOptions,
} from '../../packages/bridge/src/settings.ts'

describe('settings', () => {
  test('have defaults', () => {
    const defaults = {
      name: undefined,
      nesting: 'savepoint',
      lazy: 'unless-wrapped',
      defaultIsolationLevel: 'read committed',
      turnTimeout: 30_000,
      onHookError: undefined,
    }
    expect(settingsOf({})).toMatchObject(defaults)
    expect(settingsOf({ name: undefined, lazy: undefined } as never)).toMatchObject(defaults)
  })

  test.each<SharedConnectionOptions>([
    { name: 'main' },
    { nesting: 'join' },
    { lazy: false },
    { defaultIsolationLevel: 'serializable' },
    { turnTimeout: 0 },
    { turnTimeout: 2 ** 31 - 1 },
    { turnTimeout: 0.5 },
    { onHookError: () => {} },
  ])('take %o', (options) => {
    expect(settingsOf(options)).toMatchObject(options)
  })

  test.each<object>([
    { name: 1 },
    { nesting: 'none' },
    { nesting: true },
    { lazy: 'no' },
    { lazy: 0 },
    { defaultIsolationLevel: 'chaos' },
    { turnTimeout: -1 },
    { turnTimeout: Number.NaN },
    { turnTimeout: Number.POSITIVE_INFINITY },
    { turnTimeout: 2 ** 31 },
    { turnTimeout: '30s' },
    { onHookError: 'log' },
    { unknown: 1 },
    { Lazy: false },
    { toString: () => '' },
    { constructor: 1 },
    { name: null },
  ])('refuse %o', (options) => {
    expect(() => settingsOf(options as SharedConnectionOptions)).toThrow(InvalidArgumentError)
  })

  test('that are refused name the valid values', () => {
    expect(() => settingsOf({ turnTimeout: -1 })).toThrow('turnTimeout was -1; give a number')
    expect(() => settingsOf({ lasy: true } as never)).toThrow(/"lasy".*lazy/)
  })
})

describe('a refusal', () => {
  test('prints neither the source of a function nor the content of an object', () => {
    const secret = () => 'secret'
    expect(() => settingsOf({ name: secret } as never)).toThrow('name was a function; give')
    expect(() => settingsOf({ name: { secret } } as never)).toThrow('name was an object; give')
  })

  test('of options that are none says what to give', () => {
    expect(() => settingsOf(null as never)).toThrow(
      'the options of shareConnection() were null; give an object',
    )
    expect(() => settingsOf('lazy' as never)).toThrow(
      'the options of shareConnection() were "lazy"; give an object',
    )
  })
})

describe('the same settings', () => {
  const settings = settingsOf({ name: 'main', lazy: false })

  test.each<SharedConnectionOptions>([
    {},
    { name: 'main' },
    { lazy: false },
    { nesting: 'savepoint' },
    { name: undefined } as never,
  ])('may be given again: %o', (options) => {
    expect(() => assertSameSettings(settings, options)).not.toThrow()
  })

  test('must not differ, and the error names the differences', () => {
    expect(() => assertSameSettings(settings, { lazy: true, name: 'other' })).toThrow(
      OptionsConflictError,
    )
    expect(() => assertSameSettings(settings, { lazy: true, name: 'main' })).toThrow(
      'lazy (was false, now true)',
    )
  })

  test('must not differ where they are too long to be printed', () => {
    const long = settingsOf({ name: 'a'.repeat(100) })
    expect(() => assertSameSettings(long, { name: 'b'.repeat(100) })).toThrow(OptionsConflictError)
  })

  test('may have another function', () => {
    const withHook = settingsOf({ onHookError: () => undefined })
    expect(() => assertSameSettings(withHook, { onHookError: () => undefined })).not.toThrow()
  })

  test('are checked before they are compared', () => {
    expect(() => assertSameSettings(settings, { lazy: 'x' } as never)).toThrow(InvalidArgumentError)
  })
})
