import {
  parseEnvironments,
  parseFailure,
  type IEnvironment,
  WireError
} from '../wire';

const SENT = {
  name: 'bert',
  id: 'd2f1',
  status: 'running',
  image: 'nvcr.io/nvidia/pytorch:25.10-py3',
  gpus: 2,
  kernel_name: 'dlenv-bert',
  engine: 'docker'
};

describe('parseEnvironments', () => {
  it('keeps what the front end needs and leaves the rest', () => {
    const expected: IEnvironment = {
      name: 'bert',
      status: 'running',
      image: 'nvcr.io/nvidia/pytorch:25.10-py3',
      gpus: 2,
      kernelName: 'dlenv-bert',
      engine: 'docker'
    };

    expect(parseEnvironments({ environments: [SENT] })).toEqual([expected]);
  });

  it.each([
    ['no object', 'oops', 'the top'],
    ['no list', { environments: {} }, 'environments'],
    ['an item that is null', { environments: [null] }, 'environments[0]'],
    [
      'a number for a name',
      { environments: [SENT, { ...SENT, name: 7 }] },
      'environments[1].name'
    ],
    [
      'an unknown status',
      { environments: [{ ...SENT, status: 'asleep' }] },
      'environments[0].status'
    ]
  ])('refuses %s and says where', (_, answer, path) => {
    const parse = () => parseEnvironments(answer);

    expect(parse).toThrow(WireError);
    expect(parse).toThrow(path);
  });
});

describe('parseFailure', () => {
  it('reads what the server says', () => {
    const failure = {
      code: 'name-taken',
      message: 'Taken.',
      hint: 'Choose another.',
      detail: ''
    };

    expect(parseFailure({ error: failure })).toEqual(failure);
  });

  it.each([
    [null],
    ['<html>'],
    [{ message: 'Not Found' }],
    [{ error: { code: 404 } }]
  ])('does not take %j of a proxy for ours', answer => {
    expect(parseFailure(answer)).toBeNull();
  });
});
