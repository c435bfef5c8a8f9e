/* SPDX-License-Identifier: Apache-2.0 */
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;

import org.apache.kafka.common.utils.Exit;

/**
 * Runs main() of one program after the other in one JVM, because starting a JVM takes longer than what most of them do.
 *
 * A request is one line of words in Base64, separated by blanks: the standard input, the class, its arguments. The answer
 * is one line: the exit code, then what was written to the standard output and error, in Base64.
 */
public class Toolbox {
	private static class Exited extends Error {
		Exited() {
			super("exit", null, false, false);
		}
	}

	private static Integer exitCode;
	private static final List<Runnable> hooks = new ArrayList<>();

	private static void exit(int code, String message) {
		synchronized (Toolbox.class) {
			if (exitCode == null)
				exitCode = code;
		}
		if (message != null)
			System.err.println(message);
		throw new Exited();
	}

	private static int run(String name, String[] args) {
		exitCode = null;
		hooks.clear();
		try {
			Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) args);
		} catch (InvocationTargetException e) {
			if (!(e.getCause() instanceof Exited)) {
				e.getCause().printStackTrace();
				return 1;
			}
		} catch (ReflectiveOperationException e) {
			e.printStackTrace();
			return 1;
		} finally {
			for (Runnable hook : hooks)
				hook.run();
		}
		return exitCode == null ? 0 : exitCode;
	}

	private static String text(String word) {
		return new String(Base64.getDecoder().decode(word), StandardCharsets.UTF_8);
	}

	public static void main(String[] unused) throws Exception {
		PrintStream answers = System.out, errors = System.err;
		BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));

		Exit.setExitProcedure(Toolbox::exit);
		Exit.setHaltProcedure(Toolbox::exit);
		Exit.setShutdownHookAdder((name, hook) -> hooks.add(hook));
		for (String line = requests.readLine(); line != null; line = requests.readLine()) {
			String[] words = line.split(" ", -1);
			String[] args = new String[words.length - 2];
			ByteArrayOutputStream out = new ByteArrayOutputStream(), err = new ByteArrayOutputStream();

			for (int i = 0; i < args.length; i++)
				args[i] = text(words[i + 2]);
			System.setIn(new ByteArrayInputStream(Base64.getDecoder().decode(words[0])));
			System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
			System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
			int code = run(text(words[1]), args);

			System.out.flush();
			System.setErr(errors);
			Base64.Encoder encoder = Base64.getEncoder();
			answers.println(code + " " + encoder.encodeToString(out.toByteArray()) + " " +
					encoder.encodeToString(err.toByteArray()));
			answers.flush();
		}
		Runtime.getRuntime().halt(0);
	}
}
