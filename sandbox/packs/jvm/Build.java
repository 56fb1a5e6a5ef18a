import com.sun.source.tree.ClassTree;
import com.sun.source.tree.CompilationUnitTree;
import com.sun.source.tree.MethodTree;
import com.sun.source.tree.Tree;
import com.sun.source.util.JavacTask;
import com.sun.source.util.TaskEvent;
import com.sun.source.util.TaskListener;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.jar.Attributes;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import javax.tools.FileObject;
import javax.tools.ForwardingJavaFileManager;
import javax.tools.ForwardingJavaFileObject;
import javax.tools.JavaFileManager;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/**
 * Makes a jar of a program in Java: Build OUT ENTRY SOURCE... It starts at the first class of the entry that has a main,
 * and finds resources where its packages begin. One process compiles and packs, in memory.
 */
public class Build {
    private static final List<String> OPTIONS = List.of("-g", "-encoding", "UTF-8", "-proc:none", "-implicit:none");

    private final Map<String, ByteArrayOutputStream> classes = new LinkedHashMap<>();
    private String main = "";
    private File root;

    public static void main(String[] words) throws IOException {
        System.exit(new Build().make(words[0], Arrays.asList(words).subList(1, words.length)) ? 0 : 1);
    }

    private boolean make(String out, List<String> names) throws IOException {
        var compiler = ToolProvider.getSystemJavaCompiler();
        var files = compiler.getStandardFileManager(null, null, null);
        var sources = sources(files, names);
        var task = (JavacTask) compiler.getTask(null, new InMemory(files), null, OPTIONS, null, sources);
        task.addTaskListener(new MainFinder(sources.get(0)));
        if (!task.call()) return false;
        if (main.isEmpty()) System.err.println(names.get(0) + ":1: error: there is no class to start with");
        else write(out);
        return !main.isEmpty();
    }

    private static List<JavaFileObject> sources(StandardJavaFileManager files, List<String> names) {
        var found = new ArrayList<JavaFileObject>();
        for (var file : files.getJavaFileObjectsFromStrings(names)) found.add(new AnyName(file));
        return found;
    }

    private void write(String out) throws IOException {
        var manifest = new Manifest();
        manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
        manifest.getMainAttributes().put(Attributes.Name.MAIN_CLASS, main);
        manifest.getMainAttributes().put(Attributes.Name.CLASS_PATH, root.toURI().toString());
        try (var jar = new JarOutputStream(new FileOutputStream(out), manifest)) {
            jar.setLevel(0);
            for (var one : classes.entrySet()) {
                jar.putNextEntry(new JarEntry(one.getKey().replace('.', '/') + ".class"));
                one.getValue().writeTo(jar);
            }
        }
    }

    /** Finds the class that the program starts with. */
    private class MainFinder implements TaskListener {
        private final JavaFileObject entry;

        MainFinder(JavaFileObject entry) {
            this.entry = entry;
        }

        @Override
        public void finished(TaskEvent event) {
            if (event.getKind() == TaskEvent.Kind.PARSE && event.getSourceFile().getName().equals(entry.getName())) {
                main = mainOf(event.getCompilationUnit());
                root = rootOf(event.getCompilationUnit());
            }
        }

        /** The folder of the entry, or the one above those of its package. */
        private File rootOf(CompilationUnitTree unit) {
            var folder = new File(entry.getName()).getParent();
            var path = unit.getPackageName() == null ? "" : "/" + unit.getPackageName().toString().replace('.', '/');
            return new File(folder.endsWith(path) ? folder.substring(0, folder.length() - path.length()) : folder);
        }

        private String mainOf(CompilationUnitTree unit) {
            var prefix = unit.getPackageName() == null ? "" : unit.getPackageName() + ".";
            var first = "";
            for (var each : unit.getTypeDecls()) {
                if (!(each instanceof ClassTree type)) continue;
                if (type.getMembers().stream().anyMatch(MainFinder::isMain)) return prefix + type.getSimpleName();
                if (first.isEmpty()) first = prefix + type.getSimpleName();
            }
            return first;
        }

        private static boolean isMain(Tree member) {
            return member instanceof MethodTree method && method.getName().contentEquals("main");
        }
    }

    /** A source whose public classes may be called as they like. */
    private static class AnyName extends ForwardingJavaFileObject<JavaFileObject> {
        AnyName(JavaFileObject file) {
            super(file);
        }

        @Override
        public boolean isNameCompatible(String simpleName, Kind kind) {
            return true;
        }
    }

    /** Keeps what is compiled. */
    private class InMemory extends ForwardingJavaFileManager<JavaFileManager> {
        InMemory(JavaFileManager files) {
            super(files);
        }

        @Override
        public JavaFileObject getJavaFileForOutput(Location location, String name, JavaFileObject.Kind kind, FileObject of) {
            return new SimpleJavaFileObject(URI.create("memory:///" + name.replace('.', '/') + kind.extension), kind) {
                @Override
                public OutputStream openOutputStream() {
                    classes.put(name, new ByteArrayOutputStream());
                    return classes.get(name);
                }
            };
        }
    }
}
