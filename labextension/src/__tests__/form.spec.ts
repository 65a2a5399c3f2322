import { EnginesModel } from '../engines';
import { GpusModel } from '../gpus';
import { LaunchModel } from '../launchModel';

const MESSAGE = 'An environment needs an image.';

describe('LaunchModel', () => {
  const launched: unknown[] = [];
  let model: LaunchModel;

  beforeEach(() => {
    launched.length = 0;
    const never = new Promise<never>(() => undefined);
    const ask = async (): Promise<never> => never;
    const missing = {
      code: 'spec-invalid',
      message: MESSAGE,
      hint: '',
      detail: '',
      field: 'image'
    };
    model = new LaunchModel({
      api: {
        catalogue: ask,
        images: ask,
        project: ask,
        tags: ask,
        sheet: ask,
        check: async request => ({
          spec: null,
          sshPort: 0,
          problems: request['image'] ? [] : [missing]
        }),
        launch: async request => {
          launched.push(request);
          return never;
        }
      },
      gpus: new GpusModel(ask),
      engines: new EnginesModel({ engines: ask, useEngine: ask }),
      taken: () => new Set(),
      last: null,
      recent: [],
      directory: '',
      remember: jest.fn()
    });
  });

  afterEach(() => model.dispose());

  it('launches what was chosen a moment ago, whatever was wrong before', async () => {
    await new Promise(resolve => setTimeout(resolve, 300));
    expect(model.obstacle?.message).toBe(MESSAGE);

    model.update({ image: 'python' });
    void model.launch();
    await new Promise(resolve => setTimeout(resolve, 0));

    expect(launched).toMatchObject([{ image: 'python' }]);
  });

  it('launches nothing while something is wrong with it', async () => {
    await new Promise(resolve => setTimeout(resolve, 300));
    model.update({ name: 'still-no-image' });

    await expect(model.launch()).resolves.toBeNull();

    expect([launched, model.obstacle?.message]).toEqual([[], MESSAGE]);
  });
});
